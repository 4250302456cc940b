// A client that refreshes its access token as it should, with axios. `REQUIREMENTS.md` has a reason for each rule.
import axios from 'axios';
import { serve } from './program.js';
import { Failed, endOf, errorCode, exchange, revoke } from './wire.js';

const MAY_ACT_TWICE = ['POST', 'PATCH'];

class Client {
  epoch = 0; // counts who is signed in
  current = null; // the newest access token, unless it was refused
  refreshToken = null;
  running = null; // the one refresh
  failure = null; // what the last one failed with
  failures = 0; // in a row
  lost = 0; // how often the refresh token was presented in vain
  fruitless = 0; // new tokens in a row that were refused
  waiting = 0;
  starts = [];

  constructor(settings) {
    this.settings = settings;
    const transformRequest = [(data) => data];
    this.http = axios.create({ maxRedirects: 0, validateStatus: null, proxy: false, transformRequest });
  }

  signIn({ access_token: value, refresh_token: refreshToken, expires_in: lifetime } = {}) {
    const epoch = this.epoch + 1;
    const current = value ? { value, epoch, end: endOf(lifetime, Date.now()), accepted: true } : null;
    const nothing = { running: null, failure: null, failures: 0, lost: 0, fruitless: 0 };
    Object.assign(this, { epoch, current, refreshToken, ...nothing });
  }

  signOut() {
    revoke(this.settings, this.refreshToken);
    this.signIn();
  }

  async send(config, signal) {
    let refusal;
    try {
      const bringsItsOwn = Object.keys(config.headers).some((name) => name.toLowerCase() === 'authorization');
      const allowed = this.settings.origins.includes(new URL(config.url).origin);
      if (bringsItsOwn || !allowed) return (await this.attempt(config, signal)).outcome;

      const token = await this.token(signal);
      const first = await this.attempt(config, signal, token);
      if (!first.refused) return this.accept(token, first.outcome);

      refusal = first.outcome;
      const newer = this.token(signal, token);
      const once = typeof config.data?.pipe === 'function';
      if (once || (!first.clearly && MAY_ACT_TWICE.includes(config.method))) {
        newer.catch(() => {}); // The next request will hear of it.
        return refusal;
      }
      const next = await newer;
      const second = await this.attempt(config, signal, next);
      return second.refused ? second.outcome : this.accept(next, second.outcome);
    } catch (error) {
      const cause = error instanceof Failed ? error.cause : 'http';
      return { ...refusal, failed: signal.aborted ? 'cancelled' : cause, error: error.message };
    }
  }

  async attempt(config, signal, token) {
    const headers = token ? { ...config.headers, Authorization: `Bearer ${token.value}` } : config.headers;
    const { status, headers: fields, data: body } = await this.http.request({ ...config, headers, signal });
    const code = errorCode(fields['www-authenticate'] ?? '');
    const clearly = code === 'invalid_token';
    return { outcome: { status, body }, clearly, refused: clearly || (status === 401 && !code) };
  }

  accept(token, outcome) {
    token.accepted = true;
    if (token === this.current) this.fruitless = 0;
    return outcome;
  }

  /** A token that is good as far as anybody knows, and not the one that was refused. */
  token(signal, refused) {
    if (refused && refused.epoch !== this.epoch) return Promise.reject(new Failed('needs_sign_in'));
    if (refused && refused === this.current) {
      if (!refused.accepted) this.fruitless += 1;
      this.current = null;
    }
    if (this.current && Date.now() < this.current.end) return Promise.resolve(this.current);
    try {
      this.running ??= this.start();
    } catch (failure) {
      return Promise.reject(failure);
    }
    return this.wait(this.running, signal);
  }

  start() {
    const now = Date.now();
    if (this.failure && now < this.failure.until) throw this.failure;
    if (!this.refreshToken) throw new Failed('needs_sign_in');
    if (this.fruitless >= 2) {
      this.fruitless = 0;
      throw (this.failure = new Failed('refused_after_refresh', now + 60_000));
    }
    this.starts = this.starts.filter((start) => start > now - 30_000);
    if (this.starts.length >= 5) throw new Failed('transient', this.starts[0] + 30_000);
    this.starts.push(now);
    const run = this.refresh(now).finally(() => {
      if (this.running === run) this.running = null;
    });
    return run;
  }

  /** Belongs to no caller: whoever gives up changes nothing for the others, and the new token is kept. */
  async refresh(sentAt) {
    const { epoch, refreshToken } = this;
    const soon = sentAt + Math.random() * Math.min(60_000, 500 * 2 ** this.failures);
    const grant = await exchange(this.settings, refreshToken, soon).catch((failure) => failure);
    if (epoch !== this.epoch) {
      revoke(this.settings, grant.refreshToken);
      throw new Failed('needs_sign_in');
    }
    if (grant instanceof Failed) {
      this.failures += 1;
      if (grant.cause === 'uncertain' && ++this.lost >= 2) grant.until = Infinity;
      throw (this.failure = grant);
    }
    const end = endOf(grant.lifetime, sentAt);
    this.current = { value: grant.value, epoch, end, accepted: false };
    this.refreshToken = grant.refreshToken || refreshToken;
    Object.assign(this, { failure: null, failures: 0, lost: 0 });
    return this.current;
  }

  async wait(run, signal) {
    if (this.waiting >= this.settings.max_waiting) throw new Failed('transient');
    this.waiting += 1;
    let timer;
    const leaves = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Failed('transient')), this.settings.time_limit_ms);
      signal.addEventListener('abort', () => reject(new Failed('transient')));
    });
    return Promise.race([run, leaves]).finally(() => {
      clearTimeout(timer);
      this.waiting -= 1;
    });
  }
}

const CAN = ['oauth', 'json', 'cookie', 'basic', 'post', 'sign_out', 'revoke', 'cancel', 'stream', 'queue'];
serve(CAN, (settings) => new Client(settings));
