// A newer question takes an older one's place (hx-sync="this:replace"): htmx calls that an error and writes it to the
// console twice. It is none. What does go wrong is still said: htmx:sendError, htmx:responseError, htmx:timeout.
const NO_ERROR = ["htmx:sendAbort", "htmx:afterRequest"];

if (window.htmx) {
  // htmx shows an event to its logger before it looks whether to complain about it.
  window.htmx.logger = (_element, name, detail) => {
    if (NO_ERROR.includes(name)) delete detail.error;
  };
}
