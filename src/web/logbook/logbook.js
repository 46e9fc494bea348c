// Shows the page anew when something changed; without it the page is reloaded now and then.
const source = new EventSource("/events");
source.addEventListener("changed", async () => {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(page.querySelector("main"));
});
