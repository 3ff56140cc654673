// The list of traces keeps itself up to date. htmx asks (_traces.html says how often); here is when it must not ask,
// and what is said about it. Without this file nothing asks: it is htmx that waits for its approval.
(() => {
  const bar = document.getElementById("dbroute-live");
  if (!bar) return;
  const button = bar.querySelector("button");
  const status = bar.querySelector("[role=status]");
  const list = () => document.getElementById("dbroute-traces");
  const asking = () => list().querySelector(".dbroute-again");

  let paused = false;
  let lost = false; // the server gave no answer the last time
  let over = ""; // why it has stopped for good

  const state = () => {
    if (over) return over;
    if (paused) return "paused";
    if (!asking()) return "page";
    if (list().querySelector(".action-select:checked")) return "chosen";
    if (list().contains(document.activeElement)) return "focus";
    return lost ? "lost" : "live";
  };

  const mayAsk = () => !document.hidden && ["live", "lost"].includes(state());

  const tell = () => {
    const now = state();
    const news = now === "live" && asking().textContent;
    const text = news || status.dataset[now];
    if (status.textContent !== text) status.textContent = text;
    bar.dataset.state = now;
    button.textContent = paused ? button.dataset.resume : button.dataset.pause;
    button.hidden = Boolean(over) || now === "page";
    const all = list().querySelector(".dbroute-all");
    if (all) all.hidden = false;
  };

  const ask = () => asking()?.dispatchEvent(new CustomEvent("every"));

  const stop = (why) => {
    over = why;
    asking()?.remove();
    tell();
  };

  const own = (event) => event.detail.ctx?.sourceElement?.matches(".dbroute-again");

  document.addEventListener("htmx:before:request", (event) => {
    if (!own(event)) return;
    if (!mayAsk() || document.querySelector("#dbroute .htmx-request:not(.dbroute-again)")) {
      event.preventDefault();
      return;
    }
    // A server that is being restarted is no error of this page: ask again later.
    const { ctx } = event.detail;
    const send = ctx.fetch;
    ctx.fetch = (...request) =>
      send(...request).then(
        (response) => {
          lost = false;
          return response;
        },
        () => {
          lost = true;
          return new Response(null, { status: 204 });
        },
      );
  });

  document.addEventListener("htmx:before:response", (event) => {
    if (!own(event)) return;
    const { raw } = event.detail.ctx.response;
    if (raw.redirected) stop("login");
    else if (!raw.ok) stop("failed");
    // Whoever has begun to choose meanwhile keeps what they see; the next answer has it all again.
    if (over || !mayAsk()) event.preventDefault();
    tell();
  });

  button.addEventListener("click", () => {
    paused = !paused;
    tell();
    ask();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches(".dbroute-all"))
      for (const box of list().querySelectorAll(".action-select")) box.checked = event.target.checked;
    tell();
  });
  // What was chosen stays chosen where a filter leaves it in the list.
  let chosen = [];
  document.addEventListener("htmx:before:swap", () => {
    chosen = [...list().querySelectorAll(".action-select:checked")].map((box) => box.value);
  });
  document.addEventListener("htmx:after:swap", () => {
    for (const box of list().querySelectorAll(".action-select"))
      if (chosen.includes(box.value)) box.checked = true;
  });
  document.addEventListener("visibilitychange", ask);
  document.addEventListener("focusin", tell);
  document.addEventListener("focusout", () => setTimeout(tell));
  document.addEventListener("htmx:after:swap", tell);
  bar.hidden = false;
  tell();
})();
