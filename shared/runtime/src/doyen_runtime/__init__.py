"""What every vertical needs to run: settings, discovery, adapters, the job ledger and the ``doyen`` command.

Import the submodules; this package itself loads nothing, so that ``doyen --help`` stays quick.
"""
