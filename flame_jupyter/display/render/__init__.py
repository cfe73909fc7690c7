# SPDX-License-Identifier: Apache-2.0
"""A snapshot as text, as HTML, as MIME bundles and as a sentence for screen readers. Pure."""
