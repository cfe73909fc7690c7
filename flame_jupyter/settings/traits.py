# SPDX-License-Identifier: Apache-2.0
"""What ``%config FlameMagics`` shows and sets: the defaults of the options that a magic line leaves out."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Enum, Float, Int, List, Unicode
from traitlets.config import Config, Configurable

from flame_jupyter.settings.sources import SettingsSources


class FlameTraits(Configurable):
    """Settings of this notebook. An option of a magic wins over them."""

    root = Unicode("", help="Directory to package; empty = the notebook's own.").tag(config=True)
    include = List(Unicode(), help="Globs to ship although a rule excludes them.").tag(config=True)
    exclude = List(Unicode(), help="Globs to leave out of the package.").tag(config=True)
    max_package_size = Unicode("100M", help="Limit of the package, unpacked.").tag(config=True)
    on_drift = Enum(
        ("repackage", "warn", "ignore"),
        "repackage",
        help="Edited modules: make an unchanged cell a new service, only say so, or neither.",
    ).tag(config=True)
    workers = Int(0, min=0, help="Worker processes of the embedded engine; 0 = one per CPU.").tag(config=True)
    auto_start = Bool(True, help="Start the Runner at the first service.").tag(config=True)
    on_interrupt = Enum(
        ("cancel", "detach"), "cancel", help="What an interrupt does to the calls that the cell waits for."
    ).tag(config=True)
    full_tracebacks = Bool(False, help="Show every frame of a failed call, ours too.").tag(config=True)
    display = Enum(("auto", "widget", "html", "text"), "auto", help="How a future is shown.").tag(config=True)
    settle = Enum(("static", "keep-widget"), "static", help="What a live view becomes when its call has ended.").tag(
        config=True
    )
    settle_timeout = Float(60.0, min=0.0, help="Seconds that a scripted cell waits for its futures; 0 = none.").tag(
        config=True
    )
    max_live_widgets = Int(50, min=0, help="How many futures are shown live at one time.").tag(config=True)
    preview_fetch_max = Int(
        10_000_000, min=0, help="Bytes of a result beyond which a worker makes its preview, not this kernel."
    ).tag(config=True)
    preview_html_max = Int(65_536, min=0, help="Characters of HTML that a preview may have.").tag(config=True)
    context = Unicode("", help="Context of flame.yaml for new Runners; empty = the current one of that file.").tag(
        config=True
    )
    log_bytes = Int(64_000, min=1, help="How much %flame_runner logs and echo_logs show.").tag(config=True)
    echo_logs = Enum(
        ("none", "stderr", "all"),
        "none",
        help="Show what calls print below the cell that made them: nothing, what goes to sys.stderr, or all of it.",
    ).tag(config=True)
    quiet = Bool(False, help="Print nothing but errors.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sources = SettingsSources(self)

    def update_config(self, config: Config) -> None:
        """What ``%config FlameMagics.name = value`` calls."""
        super().update_config(config)
        for section in type(self).section_names():
            self.sources.set_by_hand(config.get(section, {}))
