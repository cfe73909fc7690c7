# SPDX-License-Identifier: Apache-2.0
"""What is displayed: an output, its source, what that shows at one moment, and the form that fits the front end."""
