"""Print `docs/options.md`; `make docs` runs this."""

import sys

from misocoin.option_reference import reference

if __name__ == "__main__":
    sys.stdout.write(reference())
