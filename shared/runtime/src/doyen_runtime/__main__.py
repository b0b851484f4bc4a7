"""``python -m doyen_runtime`` is ``doyen``."""

from doyen_runtime.cli import main

if __name__ == "__main__":
    main()
