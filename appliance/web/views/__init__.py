"""One module per page: a view, a dataclass for its template, and nothing that another page needs."""
