// Who is signed in: what the browser stores for a person is not shown to another one.
export const visitorName = document.querySelector("meta[name=blemish-visitor]")?.content ?? "";
