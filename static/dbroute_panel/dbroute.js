// Keyboard, copy buttons, and events that open in place. Every page works without this file too.
(() => {
  const page = document.getElementById("dbroute");
  if (!page) return;

  const unhide = () => {
    for (const button of page.querySelectorAll(".dbroute-help[hidden]")) button.hidden = false;
    if (!navigator.clipboard) return; // only where the page came over HTTPS or from this machine
    for (const button of page.querySelectorAll("[data-dbroute-copy][hidden]")) button.hidden = false;
  };

  const summaries = () =>
    [...page.querySelectorAll(".dbroute-row > summary")].filter((summary) => summary.checkVisibility());

  const step = (by) => {
    const all = summaries();
    const row = document.activeElement.closest(".dbroute-row");
    const here = row ? all.indexOf(row.querySelector(":scope > summary")) : -1;
    const next = all[here < 0 ? 0 : here + by];
    if (next) {
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  };

  const help = () => document.getElementById("dbroute-keys")?.showModal();

  const keys = {
    j: () => step(1),
    k: () => step(-1),
    "/": () => page.querySelector(".dbroute-filter input[type=search]")?.focus(),
    "?": help,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, dialog, [contenteditable]")) return;
    if (!Object.hasOwn(keys, event.key)) return;
    if (event.key === "?" && !document.getElementById("dbroute-keys")) return; // it may mean something to others
    event.preventDefault();
    keys[event.key]();
  });

  const copy = async (button) => {
    const text = button.parentElement.querySelector("pre, code")?.textContent.trim() ?? "";
    await navigator.clipboard.writeText(text);
    const label = button.textContent;
    button.textContent = "✓";
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  };

  // The event that was opened last is in the address, so that it can be shared.
  const remember = (row) => {
    const number = row.id.slice("event-".length);
    const address = new URL(location);
    if (row.open) {
      address.searchParams.set("event", number);
      address.hash = row.id;
    } else if (address.searchParams.get("event") === number) {
      address.searchParams.delete("event");
      address.hash = "";
    } else return;
    history.replaceState(history.state, "", address);
  };

  // What a row shows is fetched when it is opened first; without this file there is a link in it.
  const parameters = { event: "event", fold: "fold", statement: "like" };
  const asked = new WeakSet();
  const fetchInto = (row) => {
    const place = row.querySelector(":scope > .dbroute-detail, :scope > .dbroute-inside");
    const link = place?.querySelector(":scope > a, :scope > .dbroute-wait > a");
    if (!link || !row.open || asked.has(row) || !window.htmx) return;
    asked.add(row);
    const [kind, number] = row.id.split("-");
    const { dbrouteLinks } = row.closest("[data-dbroute-links]").dataset;
    window.htmx.ajax("GET", `${dbrouteLinks}${parameters[kind]}=${number}`, { source: row, target: place });
  };

  page.addEventListener(
    "toggle",
    (event) => {
      if (event.target.matches(".dbroute-row")) fetchInto(event.target);
      if (event.target.matches(".dbroute-row[id^=event-]")) remember(event.target);
    },
    { capture: true }, // it does not bubble
  );

  const plainClick = (event) =>
    event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;

  page.addEventListener("click", (event) => {
    const button = event.target.closest("[data-dbroute-copy]");
    if (button) copy(button);
    if (event.target.closest(".dbroute-help")) help();
    if (!plainClick(event)) return;
    // "#12" goes there without a new page, if that event is on this one.
    const link = event.target.closest(".dbroute-event-link");
    const target = link && document.getElementById(link.hash.slice(1));
    const row = target?.closest("details.dbroute-row");
    if (row) {
      event.preventDefault();
      for (let outer = row; outer; outer = outer.parentElement.closest("details")) outer.open = true;
      const summary = row.querySelector("summary");
      summary.focus();
      summary.scrollIntoView({ block: "center" });
    }
  });

  // An address names what was asked for, and not every field that was left empty.
  page.addEventListener("formdata", ({ target, formData }) => {
    if (!target.matches(".dbroute-filter")) return;
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
    // What is no number at all ("--5") is empty to a browser: it is to be refused, and not passed over.
    for (const field of target.elements) if (field.validity.badInput) formData.set(field.name, "?");
  });

  // The timeline's links begin with the filter as the page was made, and go on with their own part; the list comes
  // with the filter as it is now.
  const follow = () => {
    const timeline = page.querySelector(".dbroute-timeline[data-dbroute-lanes]");
    const list = document.getElementById("dbroute-events");
    if (!timeline || !list) return;
    const { dbrouteLanes: before } = timeline.dataset;
    const { dbrouteLanes: now } = list.dataset;
    for (const link of timeline.querySelectorAll("a[href^='?']")) {
      link.setAttribute("href", now + link.getAttribute("href").slice(before.length));
    }
    timeline.dataset.dbrouteLanes = now;
  };

  document.addEventListener("htmx:after:swap", () => {
    unhide();
    follow();
  });
  unhide();
})();
