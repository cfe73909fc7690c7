// SPDX-License-Identifier: Apache-2.0
// Browsers start no worker for a page that was opened as a file. The theme's search needs one: this runs it in a frame.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    #waiting = [];

    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      // what the script of a worker calls; a message that comes in is an event of the frame, as it is in a worker
      frame.srcdoc = `<script>
        window.postMessage = (data) => parent.postMessage({ fromFrameWorker: data }, "*");
        window.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((resolve, reject) => {
          document.head.append(Object.assign(document.createElement("script"), { src: url, onload: resolve, onerror: reject }));
        })), Promise.resolve());
      </script><script src="${new URL(url, location.href)}"></script>`;
      window.addEventListener("message", (event) => {
        if (event.source === frame.contentWindow && "fromFrameWorker" in event.data) {
          this.dispatchEvent(new MessageEvent("message", { data: event.data.fromFrameWorker }));
        }
      });
      frame.addEventListener("load", () => {
        this.postMessage = (data) => frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
        this.#waiting.forEach(this.postMessage);
      });
      document.addEventListener("DOMContentLoaded", () => document.body.append(frame));
      if (document.readyState !== "loading") document.body.append(frame);
    }

    postMessage(data) {
      this.#waiting.push(data);
    }
  };
}
