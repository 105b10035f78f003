"""`python -m api`, which is the command `tollgate`.

`tollgate serve` takes no options. It goes past the parser of the command line, which takes a tenth of a second and
some megabytes to load and would stay with the process for life.
"""

import sys

from api.refusals import refused_in_one_line


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:] == ["serve"]:
        _serve()
    else:
        from api.cli import main as run  # noqa: PLC0415 -- loads the parser and every command's options

        run()


def _serve() -> None:
    from domain.adapters.allocating import choose_allocator  # noqa: PLC0415 -- loaded by this command only

    choose_allocator()
    from api.serve import serve  # noqa: PLC0415 -- loaded by this command only

    with refused_in_one_line():
        serve()


if __name__ == "__main__":
    main()
