// What can be measured on a page. Evaluated by tests/browser/measures.py, which calls one function at a time.

// Also in the toolbar's shadow root.
const find = (selector, root = document) => {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const element of root.querySelectorAll("*")) {
    const inside = element.shadowRoot && find(selector, element.shadowRoot);
    if (inside) return inside;
  }
  return null;
};

const name = (element) => {
  const text = (element.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 40);
  const css = typeof element.className === "string" ? element.className : element.className.baseVal;
  return `<${element.localName}${element.id ? ` id=${element.id}` : ""}${css ? ` class="${css}"` : ""}> ${text}`;
};

const seen = (element) => {
  if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
  for (let one = element; one; one = one.parentElement) {
    const style = getComputedStyle(one);
    // Cut to nothing, for screen readers only.
    if (style.clipPath === "inset(50%)") return false;
    const box = one.getBoundingClientRect();
    if (style.overflow === "hidden" && (box.width < 2 || box.height < 2)) return false;
  }
  return true;
};

const painted = (text) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  // A canvas forgets the colour of what is nearly transparent; nobody sees it either.
  return { rgb: [red, green, blue], alpha: alpha / 255 };
};

// A page has few colours and asks for them thousands of times, while a canvas takes long to make.
const colours = new Map();
const colour = (text) => {
  if (!colours.has(text)) colours.set(text, painted(text));
  return { ...colours.get(text) };
};

const over = (above, below) => above.rgb.map((one, i) => one * above.alpha + below[i] * (1 - above.alpha));

const parentOf = (element) => element.parentElement ?? element.getRootNode().host ?? null;

// The colour behind an element: its own and its ancestors' backgrounds, laid over each other.
const ground = (element) => {
  const layers = [];
  for (let one = element; one; one = parentOf(one)) {
    const layer = colour(getComputedStyle(one).backgroundColor);
    if (layer.alpha) layers.push(layer);
    if (layer.alpha === 1) break;
  }
  // Where no element has one, the window's own.
  let below = colour("Canvas").rgb;
  for (const layer of layers.reverse()) below = over(layer, below);
  return below;
};

const luminance = (rgb) => {
  const [red, green, blue] = rgb.map((one) => {
    const part = one / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

const contrast = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};

const textIn = (element) =>
  [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());

// What can be seen of where the focus is.
const look = (element) => {
  const style = getComputedStyle(element);
  const outline =
    style.outlineStyle === "none"
      ? "none"
      : `${style.outlineStyle} ${style.outlineWidth} ${style.outlineColor}`;
  const parts = [...element.querySelectorAll("*")].map((part) => getComputedStyle(part).stroke);
  return [outline, style.boxShadow, style.borderTopColor, style.backgroundColor, ...parts].join("; ");
};

// biome-ignore lint/correctness/noUnusedVariables: called by measures.py
const measures = {
  // What stands over the edge of the window, if one has to scroll sideways.
  tooWide() {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const names = [`the document: ${root.scrollWidth} px in ${root.clientWidth} px`];
    for (const element of document.querySelectorAll("body *")) {
      const { left, right, width } = element.getBoundingClientRect();
      if (width && (right > root.clientWidth + 1 || left < -1))
        names.push(`${name(element)}: ${left} to ${right}`);
    }
    return names.slice(0, 12);
  },

  // Text with less contrast than `least` to what is behind it; large text needs two thirds of that.
  faintText([ours, least]) {
    const faint = [];
    for (const element of find(ours).querySelectorAll("*")) {
      if (!textIn(element) || !seen(element) || element.closest(":disabled, svg, option")) continue;
      const style = getComputedStyle(element);
      const behind = ground(element);
      const front = colour(style.color);
      front.alpha *= Number(style.opacity);
      const size = Number.parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const ratio = contrast(over(front, behind), behind);
      if (ratio < (large ? (least * 2) / 3 : least)) faint.push(`${name(element)}: ${ratio.toFixed(2)}`);
    }
    return faint;
  },

  // Swatches and bars whose border has less contrast than `least` to what is around them.
  faintBorders([ours, least]) {
    const faint = [];
    for (const element of find(ours).querySelectorAll("[class*=swatch], svg rect")) {
      if (!seen(element)) continue;
      const style = getComputedStyle(element);
      const drawn = element.localName === "rect" ? style.stroke : style.borderTopColor;
      const width = element.localName === "rect" ? style.strokeWidth : style.borderTopWidth;
      if (drawn === "none" && element.matches("[fill=none], [fill=transparent]")) continue;
      const behind = ground(element.closest("svg") ?? parentOf(element));
      // A rectangle without a border is seen by its colour.
      const front = colour(drawn === "none" ? style.fill : drawn);
      const ratio = Number.parseFloat(width) || drawn === "none" ? contrast(over(front, behind), behind) : 1;
      if (ratio < least) faint.push(`${name(element)}: ${ratio.toFixed(2)}`);
    }
    return faint;
  },

  // What moves, or would when its style changes.
  moving([ours]) {
    const elements = [find(ours), ...find(ours).querySelectorAll("*")];
    const running = document
      .getAnimations()
      .map((one) => `running: ${one.animationName ?? one.transitionProperty}`);
    const longest = (times) => Math.max(...times.split(",").map((time) => Number.parseFloat(time)));
    return [
      ...running,
      ...elements
        .filter((element) => {
          const style = getComputedStyle(element);
          return (
            longest(style.transitionDuration) > 0.01 ||
            (style.animationName !== "none" && longest(style.animationDuration) > 0.01)
          );
        })
        .map(name),
    ];
  },

  // Code that does not run from left to right.
  codeTheOtherWay([ours]) {
    return [...find(ours).querySelectorAll("code, pre")]
      .filter((element) => seen(element) && getComputedStyle(element).direction !== "ltr")
      .map(name);
  },

  // What Tab should reach, in the order of the document; from the place before the first.
  beginWalk([ours]) {
    const first = find(ours);
    const controls = [
      ...first.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]"),
    ].filter(
      (element) =>
        element.tabIndex >= 0 &&
        !element.disabled &&
        element.type !== "hidden" &&
        element.checkVisibility({ visibilityProperty: true }),
    );
    const looks = controls.map(look);
    const steps = [];
    const here = () => {
      const control = document.activeElement;
      const i = controls.indexOf(control);
      steps.push({ control: `${i} ${name(control)}`, shown: i >= 0 && look(control) !== looks[i] });
    };
    window.walk = { here, steps };
    const before = document.createElement("span");
    before.tabIndex = -1;
    first.before(before);
    before.focus();
    // Each place is looked at when the next key leaves it.
    addEventListener("keydown", here, { capture: true });
    return controls.map((control, i) => `${i} ${name(control)}`);
  },

  // Where the walk has been, beginning with the first control, and whether one saw it.
  endWalk() {
    const { here, steps } = window.walk;
    removeEventListener("keydown", here, { capture: true });
    here();
    return steps.slice(1);
  },

  // Words of `longest` letters and less that begin in one line and end in the next.
  brokenWords([ours, longest]) {
    const broken = [];
    const walker = document.createTreeWalker(find(ours), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const parent = node.parentElement;
      if (!seen(parent) || parent.closest("option, pre, textarea")) continue;
      // A line may end after a hyphen.
      for (const { 0: word, index } of node.textContent.matchAll(/[\p{L}\p{N}_.]+/gu)) {
        if (word.length > longest) continue;
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const [first, ...others] = range.getClientRects();
        if (others.some((box) => box.top >= first.bottom - 4)) broken.push(`${word} in ${name(parent)}`);
      }
    }
    return broken.slice(0, 12);
  },

  // Pairs of texts that are drawn over each other.
  overlapping([ours]) {
    const boxes = [];
    const walker = document.createTreeWalker(find(ours), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const parent = node.parentElement;
      if (!node.textContent.trim() || !seen(parent) || parent.closest("option")) continue;
      // Of a picture only what is written in it, and not what it says when it is pointed at.
      if (parent.closest("svg") && parent.localName !== "text") continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) boxes.push([box, node.parentElement]);
    }
    boxes.sort(([a], [b]) => a.top - b.top);
    const pairs = [];
    for (const [i, [a, first]] of boxes.entries()) {
      for (let j = i + 1; j < boxes.length && boxes[j][0].top < a.bottom - 4; j++) {
        const [b, second] = boxes[j];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 3 && high > 4 && first !== second && !first.contains(second) && !second.contains(first))
          pairs.push(`${name(first)} and ${name(second)}`);
      }
    }
    return pairs.slice(0, 12);
  },
};
