"""Run a block of SQL statements from a migration."""

from alembic import op


def run(block: str) -> None:
    """Execute the statements of a block one by one: the driver takes one at a time.

    A statement ends at a semicolon at the end of a line, outside of dollar quotes.
    """
    statement, quoted = "", False
    for line in block.strip().splitlines():
        quoted ^= line.count("$$") % 2 == 1
        statement += line + "\n"
        if line.endswith(";") and not quoted:
            op.execute(statement)
            statement = ""
    assert not statement.strip(), "the last statement ends with a semicolon"
