"""The provider price list for the people who run Tollgate: as files at the terminal, and as overrides by staff."""
