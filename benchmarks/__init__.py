# SPDX-License-Identifier: Apache-2.0
"""The same work on us, on the standard library's process pool and on the bare machine, in one run: ``make bench``.

``rows`` says what is measured and what it should be, ``process`` runs each measurement of ``parts`` in a process of
its own, ``verdict`` judges, ``table`` prints. A number means something only beside the others of its run.
"""
