# SPDX-License-Identifier: Apache-2.0
"""What is displayed: the view of one future, live outputs, and the form that fits the front end."""
