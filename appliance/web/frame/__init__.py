"""What both web sites share: the page around each page, languages, style sheet, connections, log-in.

Nothing here knows of a store or of what the pages show. What the frame is told of the site is a `Frame`.
"""
