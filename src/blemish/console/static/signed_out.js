// A page whose session is over shows where to sign in: its socket is refused then, and the framework
// would only try again.
async function leaveIfSignedOut() {
  const options = { method: "HEAD", headers: { accept: "text/html" }, redirect: "manual" };
  const answer = await fetch(location.href, options).catch(() => null); // null: there is no server
  if (answer?.type === "opaqueredirect") location.reload();
}

addEventListener("load", () => socket.on("connect_error", leaveIfSignedOut));
