"""`python -m config.server`: see config.server.launcher."""

from config.server.launcher import main

raise SystemExit(main())
