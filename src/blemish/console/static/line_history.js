"use strict";
// Times are those of this browser; a press on a part enlarges its image.

const url = document.body.dataset.url;
const dialog = document.querySelector("dialog");
const two = (number) => String(number).padStart(2, "0");

document.querySelector("[name=zone]").value = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const time of document.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleString();
for (const input of document.querySelectorAll("[data-moment]")) {
  const moment = new Date(input.dataset.moment);
  if (!input.dataset.moment || Number.isNaN(moment.getTime())) continue;
  input.value = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}
for (const button of document.querySelectorAll(".parts button")) button.onclick = () => {
  for (const layer of ["photo", "heat-map"])
    dialog.querySelector(`.${layer}`).src = `${url}/images/${encodeURIComponent(button.dataset.id)}/${layer}`;
  dialog.querySelector(".photo").alt = say("Image {name}", { name: button.dataset.name });
  dialog.showModal();
};
dialog.querySelector("button").onclick = () => dialog.close();
dialog.querySelector("input").onchange = (event) => { dialog.querySelector(".heat-map").hidden = !event.target.checked; };
