"""One module or folder for each page: a view, a dataclass for its template, and nothing that another page needs."""
