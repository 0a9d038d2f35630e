"""python -m clients.batch"""

import sys

from clients.batch.command import main

if __name__ == "__main__":
    sys.exit(main())
