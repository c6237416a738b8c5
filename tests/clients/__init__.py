"""Real clients kept in the tests, each with the packages it pins, installed apart from ours (`make clients`).

`tests/clients/<name>/requirements.txt` (or `package.json`) names them; they land in `var/clients/<name>`. A client's
`program` is what a team would write: the official SDK, that client's tracing, the same scenarios as all others.
"""
