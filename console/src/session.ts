// Who asks: a bearer token that lives as long as this tab.

const KEY = "foreshard-token";

/** The token that was signed in with, if any. */
export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Keeps a token for this tab; an empty one signs out. */
export function signIn(token: string): void {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** A request in the name of whoever signed in. */
export function authorized(init: RequestInit = {}): RequestInit {
  const headers = new Headers(init.headers);
  const known = token();
  if (known) headers.set("authorization", `Bearer ${known}`);
  return { ...init, headers };
}
