// What goes to a token endpoint, what its answers mean, and what a refusal says. Knows no state.
import axios from 'axios';

const LATER = [408, 425, 429, 503, 511];
const LATER_CODES = ['temporarily_unavailable', 'server_error'];
const MEBIBYTE = 1024 * 1024;

export class Failed extends Error {
  constructor(cause, until = Infinity) {
    super(`no token: ${cause}`);
    Object.assign(this, { cause, until });
  }
}

/** Asks for new tokens once. `soon`: when it may be asked again if nothing else is said. */
export async function exchange(settings, refreshToken, soon) {
  const params = { grant_type: 'refresh_token', refresh_token: refreshToken };
  const answer = await post(settings, settings.token_endpoint, params).catch((error) => error);
  const { status, headers, data } = answer;
  const grant = parsed(data);
  const seconds = /^\d+$/.test(headers?.['retry-after']) ? Math.min(headers['retry-after'], 3600) : 0;
  const later = Math.max(soon, Date.now() + seconds * 1000);
  if (answer.code === 'ECONNREFUSED' || LATER.includes(status) || LATER_CODES.includes(grant.error)) {
    throw new Failed('transient', later);
  }
  const refused = status === 401 && !grant.error && settings.profile !== 'oauth';
  if (grant.error === 'invalid_grant' || refused) throw new Failed('needs_sign_in');
  if (grant.error || (status >= 300 && status < 500)) throw new Failed('misconfigured', Date.now() + 60_000);
  // The server may have acted on it, and the tokens are lost: nobody knows what the refresh token is worth.
  const value = grant.access_token;
  const usable = typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
  if (status !== 200 || !usable) throw new Failed('uncertain', later);
  if (!/^bearer$/i.test(grant.token_type ?? 'bearer')) throw new Failed('misconfigured');
  const cookie = /refresh_token=([^;]*)/.exec(headers['set-cookie']?.join())?.[1];
  return { value, lifetime: grant.expires_in, refreshToken: cookie ?? grant.refresh_token };
}

/** Tells the server that a refresh token is not needed any more. Its answer changes nothing. */
export function revoke(settings, token) {
  if (token && settings.revocation_endpoint) post(settings, settings.revocation_endpoint, { token }).catch(() => {});
}

function post(settings, url, params) {
  const { profile, client_id, client_secret, client_auth } = settings;
  const headers = { Accept: 'application/json' };
  let data;
  if (profile === 'json') {
    headers['Content-Type'] = 'application/json';
    data = JSON.stringify({ refresh_token: params.refresh_token });
  } else if (profile === 'cookie') {
    headers.Cookie = `refresh_token=${params.refresh_token}`;
  } else {
    const form = new URLSearchParams(params);
    if (client_auth !== 'basic') form.set('client_id', client_id);
    if (client_auth === 'post') form.set('client_secret', client_secret);
    data = form.toString();
  }
  const encoded = (text) => new URLSearchParams({ '': text }).toString().slice(1);
  const auth = { username: encoded(client_id), password: encoded(client_secret ?? '') };
  return axios.post(url, data, {
    ...(client_auth === 'basic' && { auth }),
    headers,
    timeout: settings.exchange_limit_ms,
    maxRedirects: 0,
    maxContentLength: MEBIBYTE,
    proxy: false,
    responseType: 'text',
    transformRequest: [(content) => content],
    transformResponse: [(text) => text],
    validateStatus: null,
  });
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** When a token is not to be used any more: a little before its time is over, which counts from when it was asked for. */
export function endOf(lifetime, sentAt) {
  const milliseconds = parseFloat(lifetime) * 1000;
  return Number.isNaN(milliseconds) ? Infinity : sentAt + milliseconds - Math.min(10_000, milliseconds / 10);
}

/** The error code of the challenge for our token (RFC 6750 §3, RFC 9449 §7.1), if there is one. */
export function errorCode(challenges) {
  const parts = challenges.matchAll(/([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,"]+)))?/g);
  let scheme = '';
  for (const [, name, quoted, plain] of parts) {
    const value = quoted ?? plain;
    if (value === undefined) scheme = name.toLowerCase();
    else if (name.toLowerCase() === 'error' && ['bearer', 'dpop'].includes(scheme)) return value;
  }
  return undefined;
}
