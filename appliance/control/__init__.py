"""The control channel of `appliance listen --control`: what may be asked on standard input, and what is answered.

A command is a JSON object on a line: `set`, `spectrum`, `record` or `survey` with its details, and if wanted an `id`
(a whole number) that comes back with the answer. `null` as details ends what is going on. Each command is answered by
one line with its `id`: `set` by what the radio accepted, the others by `accepted`; any of them by `refused`, with the
reason in words. What goes on tells of itself in lines `spectrum`, `recorded`, `survey` and `surveyed`.
`docs/commands.md` has them as tables.
"""
