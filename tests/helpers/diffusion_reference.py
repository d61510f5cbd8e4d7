"""Diffusion once more, with scipy's sparse matrices and its conjugate gradients, for comparison.

Neighbour lists are given, so that both sides run on the same graph.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import cg


def normalised_graph(sims, ids, gamma):
    """S = D^-1/2 A D^-1/2 over the mutual pairs of the lists [N, kd], its own id skipped."""
    count = len(ids)
    rows, columns = np.repeat(np.arange(count), ids.shape[1]), ids.ravel()
    keep = rows != columns
    affinity = np.maximum(sims.ravel()[keep], 0).astype(np.float64) ** gamma
    directed = sp.csr_matrix((affinity, (rows[keep], columns[keep])), (count, count))
    member = sp.csr_matrix((np.ones(keep.sum()), (rows[keep], columns[keep])), (count, count))
    mutual = directed.multiply(member.T).tocsr()
    scale = sp.diags(1 / np.sqrt(np.asarray(mutual.sum(axis=1)).ravel() + 1e-12))
    return (scale @ mutual @ scale).tocsr()


def offline_rows(lists, graph, alpha, rtol=1e-6, maxiter=20):
    """Row i: (I - alpha S)[T_i, T_i] f = e_0 for T_i = lists[i], whose head is i."""
    laplacian = (sp.identity(graph.shape[0]) - alpha * graph).astype(np.float32).tocsr()
    rows = np.empty(lists.shape, np.float32)
    for node, members in enumerate(lists):
        start = np.zeros(len(members))
        start[0] = 1
        part = laplacian[members][:, members]
        rows[node] = cg(part, start, rtol=rtol, atol=0, maxiter=maxiter)[0]
    return rows


def dense(lists, rows):
    """The offline matrix [M, N] as an array."""
    matrix = np.zeros((len(lists), lists.max() + 1))
    np.put_along_axis(matrix, lists, rows, axis=1)
    return matrix


def sorted_lists(descriptors, length):
    """(similarities, ids) [N, length] with each node at the head of its own list."""
    sims = (descriptors.astype(np.float64) @ descriptors.T.astype(np.float64)).astype(np.float32)
    own = np.eye(len(sims), dtype=bool)
    ids = np.argsort(np.where(own, -np.inf, -sims), axis=1, kind="stable")[:, :length]
    return np.take_along_axis(sims, ids, axis=1), ids


def assert_same_ranking(ids, scores, depth, tolerance):
    """`ids` [Q, k] order the scores [Q, N] of another implementation, but for ties."""
    ours = np.take_along_axis(scores, ids[:, :depth], axis=1)
    best = -np.sort(-scores, axis=1)[:, :depth]
    np.testing.assert_allclose(ours, best, atol=tolerance)
