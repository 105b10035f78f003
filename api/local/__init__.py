"""Everything `tollgate up` starts on one machine: databases, mail catcher, the processes of Tollgate.

Owns the data directory (`home`), the embedded PostgreSQL and Valkey, the supervisor of child processes, the mail
catcher and the choice of ports. Does not own what the started processes do: it knows them as commands with a health
check. Nothing here is used when real servers are given by settings.

Words: home (the data directory), account (the unprivileged user that PostgreSQL runs as when we are root), service
(something that is started, watched and stopped), leftover (a process that survived the launcher that started it).
"""
