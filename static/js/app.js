// Progressive enhancement only: every page can be read and every form sent without this file.
// One custom element per behaviour, so it wakes up by itself when htmx inserts it. No eval, no inline handlers.
import "./theme_toggle.js";
import "./chart_tip.js";
import "./drag-zoom.js";
import "./tree_nav.js";
import "./copy_button.js";
import "./toast_region.js";
import "./panel_errors.js";
import "./page_retry.js";
import "./dialogs.js";
import "./pop_menu.js";
import "./filter_list.js";
import "./command_palette.js";
import "./confirm_typed.js";
import "./time_ago.js";
import "./live_clock.js";
import "./live_status.js";
import "./shortcuts.js";
import "./trace_live.js";
import "./trace_waterfall.js";
import "./trace_find.js";
import "./pane_find.js";
import "./trace_activity.js";
import "./mention_box.js";
import "./query_bar.js";
import "./trace_peek.js";
import "./trace_list.js";
