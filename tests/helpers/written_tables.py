"""Readers of written tables, for tests: {(table, dataset, model, column): (ours, paper, diff)}."""

import csv
import io
import re
from html.parser import HTMLParser

METRICS = {"mAP": "map", "mP@5": "mp@5", "mP@10": "mp@10"}
NUMBER = re.compile(r"Table (\d)")


def column_key(table, group, name):
    """A column of a written table as the paper's files call it."""
    return (group, METRICS[name]) if table == 2 else (name,)


def read_text(text):
    cells, group_line, columns, section, model = {}, [], [], "", ""
    ours: list[str] = []
    table = 0
    for line in text.splitlines():
        fields = re.split(r"\s{2,}", line.strip())
        if NUMBER.match(line):
            table, group_line, columns = int(NUMBER.match(line)[1]), [], []
        elif fields[0] == "easy":
            group_line = fields
        elif fields[0] == "method":
            groups = group_line or [""] * (len(fields) - 1)
            columns = [column_key(table, *one) for one in zip(groups, fields[1:], strict=True)]
        elif fields[0] == "difference":
            for column, value in zip(columns, fields[1:], strict=False):
                cells[table, section, model, *column][2] = value
        elif len(fields) == 1:
            section = fields[0]
        elif fields[0] == "paper":
            for column, mine, value in zip(columns, ours, fields[1:], strict=True):
                cells[table, section, model, *column] = [mine, value, ""]
        elif columns and len(fields) == len(columns) + 1:
            model, ours = fields[0], [field.strip("*°") for field in fields[1:]]
    return cells


def read_markdown(text):
    cells, columns, section, table = {}, [], "", 0
    for line in text.splitlines():
        if NUMBER.search(line):
            table = int(NUMBER.search(line)[1])
        fields = [field.strip() for field in line.strip("|").split("|")]
        if fields[0] == "method":
            split = (field.rpartition(" ") for field in fields[1:])
            columns = [column_key(table, group, name) for group, _, name in split]
        elif line.startswith("| **"):
            section = fields[0].strip("*")
        elif line.startswith("| "):
            for column, field in zip(columns, fields[1:], strict=True):
                ours = field.replace("*", "").replace("°", "").split(" / ")
                cells[table, section, fields[0], *column] = ours
    return cells


def read_csv(text):
    cells = {}
    for row in csv.DictReader(io.StringIO(text)):
        values = (row["ours"], row["paper"], row["difference"])
        place = (row["dataset"], row["model"])
        if row["protocol"] != "classic":
            cells[2, *place, row["protocol"], row["metric"]] = values
        elif row["metric"] == "map" and row["dim"] == "512":
            cells[1, *place, row["ranking"]] = values
        if row["protocol"] == "classic" and row["ranking"] == "G" and row["metric"] == "map":
            cells[3, *place, row["dim"]] = values
    return cells


def read_latex(text):
    cells = {}
    for one in text.split(r"\begin{table*}")[1:]:
        label = re.search(r"label\{tab:table(\d)-(\w+)\}", one)
        table, section = int(label[1]), label[2]
        groups = re.findall(r"multicolumn\{3\}\{c\}\{(\w+)\}", one)
        rows = [row.strip() for row in one.split(r"\\")]
        start = next(i for i, row in enumerate(rows) if "method &" in row)
        names = rows[start].split("method & ")[1].split(" & ")
        spread = [group for group in groups for _ in range(3)] or [""] * len(names)
        columns = [column_key(table, *one) for one in zip(spread, names, strict=True)]
        for ours, theirs in zip(rows[start + 1 :], rows[start + 2 :], strict=False):
            model = ours.split(" & ")[0].replace(r"\midrule", "").strip()
            if not theirs.startswith("&") or not model:
                continue
            for column, value in zip(columns, theirs.split("&")[1:], strict=True):
                inner = re.search(r"scriptsize ([^}]*)\}", value)
                cells[table, section, model, *column] = (None, inner[1].split()[0] if inner else "")
    return cells


class PageReader(HTMLParser):
    """The cells of the tables table1, table2 and table3 of a page."""

    def __init__(self):
        super().__init__()
        self.cells, self.table, self.kind = {}, 0, ""
        self.groups, self.columns, self.section, self.model, self.fields = [], [], "", "", {}

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = attributes.get("class", "") or ""
        if tag == "table":
            known = re.fullmatch(r"table(\d)", attributes.get("id", ""))
            self.table, self.groups, self.columns = int(known[1]) if known else 0, [], []
        if tag == "th":
            scope = attributes.get("scope", "")
            self.kind, self.span = scope, int(attributes.get("colspan", 1))
        if tag == "td":
            self.place = getattr(self, "place", -1) + 1
            self.fields = {}
        if tag == "span":
            self.kind = name.split()[0]
        if tag == "tr":
            self.place = -1

    def handle_data(self, data):
        text = data.strip()
        if not text or not self.table:
            return
        if self.kind == "colgroup":
            self.groups += [text] * self.span
        elif self.kind == "col" and text != "method":
            group = self.groups[len(self.columns)] if self.groups else ""
            self.columns.append(column_key(self.table, group, text))
        elif self.kind == "rowgroup":
            self.section = text
        elif self.kind == "row":
            self.model = text
        elif self.kind in ("ours", "theirs", "difference"):
            self.fields.setdefault(self.kind, text)

    def handle_endtag(self, tag):
        self.kind = ""
        if tag == "td" and self.table and self.fields:
            key = (self.table, self.section, self.model, *self.columns[self.place])
            fields = self.fields
            self.cells[key] = tuple(fields.get(k, "") for k in ("ours", "theirs", "difference"))


def read_page(text):
    reader = PageReader()
    reader.feed(text)
    return reader.cells
