from config.server.launcher import main

raise SystemExit(main())
