// What the pages gain with JavaScript: times in the reader's zone, and changes without a reload.
// Everything that can be read is there without it.

const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Show times in the reader's zone; in UTC they stand in the title. */
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = zoned.format(at);
  }
}

/** Say how long something has lasted, in words. */
function lasted(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const [count, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [Math.round(seconds / 60), "minute"] : [Math.round(seconds / 3600), "hour"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Replace what the server has drawn anew, and nothing else, so that focus and scrolling stay where they are. */
function replaceFresh(page) {
  for (const old of document.querySelectorAll("[data-fresh]")) {
    const fresh = page.getElementById(old.id);
    if (!fresh) old.remove();
    else if (!old.dataset.drawn || old.dataset.drawn !== fresh.outerHTML) {
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const again = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.getAttribute("href") && `[href="${CSS.escape(focused.getAttribute("href"))}"]`);
      const drawn = fresh.outerHTML;
      localTimes(fresh);
      old.replaceWith(fresh);
      fresh.dataset.drawn = drawn;
      if (again) fresh.querySelector(again)?.focus({ preventScroll: true });
    }
  }
}

/**
 * Follow the changes of a page. The page says from which position on it doesn't know them (`data-position`). The feed
 * only wakes us: what is shown is what the server draws, of all changes between the position that we have and the one
 * that it then tells. So none is missing and none comes twice, whatever the connection does in between.
 */
class Follower {
  static PAUSE = 250; // milliseconds between two drawings: many changes at once are drawn together
  static KEPT = 200; // how many changes stay on the page
  static RETRY = 2000; // milliseconds until a connection that is gone for good is made anew

  constructor(body) {
    this.feed = body.dataset.feed;
    this.log = body.dataset.log;
    this.position = Number(body.dataset.position);
    this.wanted = this.position;
    this.stream = document.querySelector("[data-stream]");
    this.notice = document.getElementById("connection");
    this.button = document.querySelector("[data-pause]");
    this.paused = false;
    this.waiting = 0;
    this.lostAt = null;
    this.drawing = false;
    if (this.button) {
      this.button.hidden = false;
      this.button.addEventListener("click", () => this.pause(!this.paused));
    }
    this.clock = setInterval(() => this.tell(), 1000);
    this.connect();
  }

  stop() {
    this.stopped = true;
    this.source.close();
    clearInterval(this.clock);
    this.lostAt = null;
    this.tell();
  }

  connect() {
    if (this.stopped) return;
    this.source?.close();
    const address = new URL(this.feed, location.origin);
    address.searchParams.set("after", this.wanted);
    this.source = new EventSource(address);
    this.source.addEventListener("open", () => this.found());
    this.source.addEventListener("error", () => this.lose());
    // Changes of statuses, or every fact of a claim or a story: whichever the page follows.
    this.source.addEventListener("change", (message) => this.hear(message, JSON.parse(message.data).changes.length));
    this.source.addEventListener("event", (message) => this.hear(message, 1));
  }

  hear(message, changes) {
    this.wanted = Math.max(this.wanted, Number(message.lastEventId));
    this.waiting += changes;
    this.draw();
  }

  found() {
    this.lostAt = null;
    this.tell();
  }

  lose() {
    this.lostAt ??= Date.now();
    this.tell();
    // A browser comes back by itself, unless it was answered with something that is no stream.
    if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), Follower.RETRY);
  }

  pause(paused) {
    this.paused = paused;
    this.button.setAttribute("aria-pressed", String(paused));
    this.tell();
    if (!paused) this.draw();
  }

  /** Say what the reader has to know: that the page is old, or that changes wait. */
  tell() {
    let said = "";
    if (this.lostAt !== null) said = `Connection lost. This page shows how things stood ${lasted(Date.now() - this.lostAt)} ago.`;
    else if (this.paused) said = this.waiting ? `Paused: ${this.waiting} ${this.waiting === 1 ? "change waits" : "changes wait"}.` : "Paused.";
    if (this.notice.textContent !== said) this.notice.textContent = said;
    this.notice.hidden = !said;
  }

  async draw() {
    if (this.paused) this.tell();
    if (this.stopped || this.paused || this.drawing) return;
    this.drawing = true;
    try {
      while (this.position < this.wanted && !this.paused && !this.stopped) {
        await this.drawOnce();
        await new Promise((resolve) => setTimeout(resolve, Follower.PAUSE));
      }
    } catch (error) {
      this.lostAt ??= Date.now();
      setTimeout(() => this.draw(), Follower.RETRY);
    } finally {
      this.drawing = false;
    }
  }

  async drawOnce() {
    const address = new URL(location.href);
    address.hash = "";
    address.searchParams.set("at_least", this.wanted);
    if (this.stream) address.searchParams.set("after", this.position);
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (answer.headers.get("verifier-log") !== this.log) return location.reload(); // another log is served here now
    if (!answer.ok) throw new Error(`the page can't be drawn: ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    replaceFresh(page);
    if (this.stream) this.prepend(page);
    slider?.follow(page);
    this.position = Number(page.body.dataset.position);
    document.body.dataset.position = this.position;
    this.waiting = 0;
    this.found();
  }

  prepend(page) {
    const items = [...page.querySelector("[data-stream]").children];
    for (const item of items) {
      item.classList.add("new");
      localTimes(item);
    }
    this.stream.prepend(...items);
    while (this.stream.children.length > Follower.KEPT) this.stream.lastElementChild.remove();
  }
}

/**
 * Move through the facts of a claim: the page is drawn as it is at that address, so that the slider shows exactly what
 * the server says of then. Only the last of several movements is drawn.
 */
class Slider {
  constructor(form) {
    this.form = form;
    this.input = form.querySelector("input[type=range]");
    this.asked = 0;
    form.querySelector("button").hidden = true;
    this.input.addEventListener("input", () => this.show());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.show();
    });
  }

  /** Take facts in that were recorded meanwhile. */
  follow(page) {
    const drawn = page.querySelector("[data-slider] input[type=range]");
    this.input.max = drawn.max;
    this.input.value = drawn.value;
  }

  async show() {
    const asked = ++this.asked;
    const address = new URL(this.form.action);
    address.searchParams.set("step", this.input.value);
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok) return location.assign(address); // the page says what is wrong
    const html = await answer.text();
    if (asked !== this.asked) return;
    follower?.stop(); // what is shown now is the past
    replaceFresh(new DOMParser().parseFromString(html, "text/html"));
    this.input.setAttribute("aria-valuetext", document.getElementById("moment").textContent);
    history.replaceState(null, "", address);
  }
}

/** Check in the browser that a leaf is in the log: hash it, follow the proof, compare with the root (RFC 6962). */
async function prove(section) {
  const say = (words) => (section.querySelector("#proved").textContent = words);
  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const hash = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
  const shown = (name) => section.querySelector(`[data-${name}]`).textContent;
  if (!globalThis.crypto?.subtle) return say("This browser computes no hashes on a page that came without encryption: take the receipt and verify it with verifier audit.");
  let place = Number(shown("index"));
  let last = Number(shown("size")) - 1;
  let node = await hash(Uint8Array.of(0), new TextEncoder().encode(shown("leaf")));
  for (const code of section.querySelectorAll("[data-hash]")) {
    if (last === 0) return say("This proof is wrong: it goes on beyond the root.");
    const beside = bytes(code.textContent);
    if (place % 2 === 1 || place === last) {
      node = await hash(Uint8Array.of(1), beside, node);
      while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      node = await hash(Uint8Array.of(1), node, beside);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  const root = bytes(shown("root"));
  const same = last === 0 && node.length === root.length && node.every((byte, index) => byte === root[index]);
  say(same ? "Your browser has hashed this leaf and followed the proof: it leads to the root in the checkpoint." : "This proof is wrong: it does not lead to the root in the checkpoint.");
  section.dataset.proof = same ? "right" : "wrong";
}

localTimes(document);
const follower = document.body.dataset.feed ? new Follower(document.body) : null;
const form = document.querySelector("[data-slider]");
const slider = form ? new Slider(form) : null;
const proof = document.querySelector("[data-proof]");
if (proof) prove(proof);
