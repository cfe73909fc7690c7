# SPDX-License-Identifier: Apache-2.0
"""The live forms in the browser: anywidgets and their scripts. Imported only when a live form is shown."""
