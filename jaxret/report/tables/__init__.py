"""Tables: which figure stands where, and each table as text, Markdown, CSV and LaTeX."""
