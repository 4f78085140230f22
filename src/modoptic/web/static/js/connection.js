/** The one WebSocket to the phone: reconnects by itself, keeps the two clocks together. */

const SILENT_MS = 3000;

export class Connection extends EventTarget {
  constructor() {
    super();
    this.open = false;
    this.offsetUs = 0;
    /** @type {{rtt: number, offset: number, at: number}[]} */
    this.pongs = [];
    this.delay = 200;
    this.heard = performance.now();
    this.connect();
    setInterval(() => this.beat(), 1000);
    addEventListener("online", () => this.connect());
  }

  connect() {
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    clearTimeout(this.retry);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.open = true; this.delay = 200; this.heard = performance.now(); this.pongs = [];
      for (let n = 0; n < 5; n++) setTimeout(() => this.ping(), n * 60);
      this.tell("open");
    };
    socket.onmessage = (event) => {
      this.heard = performance.now();
      if (event.data instanceof ArrayBuffer) this.tell("frame", event.data);
      else this.receive(JSON.parse(event.data));
    };
    socket.onclose = () => this.lost(socket);
  }

  /** @param {WebSocket} socket */
  lost(socket) {
    if (socket !== this.socket) return;
    this.socket = undefined;
    if (this.open) { this.open = false; this.tell("lost"); }
    this.retry = setTimeout(() => this.connect(), this.delay);
    this.delay = Math.min(2000, this.delay * 1.6);
  }

  beat() {
    if (!this.open) return;
    this.ping();
    if (performance.now() - this.heard > SILENT_MS && this.socket) {
      const socket = this.socket;
      socket.onmessage = null;
      socket.close();
      this.lost(socket);
    }
  }

  ping() { this.send({ type: "ping", t: performance.now() }); }

  /** @param {any} message */
  receive(message) {
    if (message.type !== "pong") { this.tell(message.type, message); return; }
    const now = performance.now();
    const rtt = now - message.t;
    this.pongs.push({ rtt, offset: message.server_us - 500 * (now + message.t), at: now });
    this.pongs = this.pongs.filter((pong) => now - pong.at < 30000);
    this.offsetUs = this.pongs.reduce((best, pong) => (pong.rtt < best.rtt ? pong : best)).offset;
  }

  /** A moment of this page in the server's clock, in microseconds. @param {number} now */
  serverUs(now) { return now * 1000 + this.offsetUs; }

  get synchronised() { return this.pongs.length > 0; }

  /** @param {object} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** @param {string} kind @param {any} [detail] */
  tell(kind, detail) { this.dispatchEvent(new CustomEvent(kind, { detail })); }

  /** @param {string} kind @param {(detail: any) => void} listener */
  on(kind, listener) { this.addEventListener(kind, (event) => listener(/** @type {CustomEvent} */ (event).detail)); }
}
