// The interceptor that is found, with small variations, in a great many programs. Do not use it: each scenario that it
// fails shows one of its defects. With the argument `finally` it has the repair that most copies get sooner or later.
import axios from 'axios';
import { readFileSync, writeFileSync } from 'node:fs';
import { serve } from './program.js';

const clearsFlagAfterFailures = process.argv[2] === 'finally';

let settings;
let isAlreadyFetchingAccessToken = false;
let subscribers = [];

// As `localStorage`: whatever else runs in this browser sees it, too.
const TokenService = {
  tokens: {},
  load() {
    if (settings.store) this.tokens = JSON.parse(readFileSync(settings.store, 'utf8'));
    return this.tokens;
  },
  save(tokens) {
    this.tokens = { ...this.tokens, ...tokens };
    if (settings.store) writeFileSync(settings.store, JSON.stringify(this.tokens));
  },
};

axios.interceptors.request.use((config) => {
  config.headers.Authorization = `Bearer ${TokenService.load().access_token}`;
  return config;
});

axios.interceptors.response.use(
  (response) => response,
  (error) => {
    if (error.response?.status === 401) return resetTokenAndReattemptRequest(error);
    return Promise.reject(error);
  },
);

async function resetTokenAndReattemptRequest(error) {
  try {
    const { response: errorResponse } = error;
    const resetToken = TokenService.load().refresh_token;
    if (!resetToken) return Promise.reject(error);
    const retryOriginalRequest = new Promise((resolve) => {
      subscribers.push(async (accessToken) => {
        errorResponse.config.headers.Authorization = `Bearer ${accessToken}`;
        const retried = axios(errorResponse.config);
        resolve(retried);
        return retried;
      });
    });
    if (!isAlreadyFetchingAccessToken) {
      isAlreadyFetchingAccessToken = true;
      const response = await fetchAccessToken(resetToken);
      if (!response.data) return Promise.reject(error);
      const newToken = response.data.access_token;
      TokenService.save({ access_token: newToken });
      isAlreadyFetchingAccessToken = false;
      await onAccessTokenFetched(newToken);
    }
    return retryOriginalRequest;
  } catch (failure) {
    return Promise.reject(failure);
  }
}

async function fetchAccessToken(resetToken) {
  try {
    return await axios({ method: 'post', url: settings.token_endpoint, data: { refresh_token: resetToken } });
  } finally {
    if (clearsFlagAfterFailures) isAlreadyFetchingAccessToken = false;
  }
}

async function onAccessTokenFetched(accessToken) {
  await Promise.all(subscribers.map((callback) => callback(accessToken)));
  subscribers = [];
}

// From here on: what a program around it does.
async function send({ method, url, headers, data }) {
  try {
    const { status, data: body } = await axios({ method, url, headers, data, responseType: 'text' });
    return { status, body: typeof body === 'string' ? body : JSON.stringify(body) };
  } catch (error) {
    const { status, data: body } = error.response ?? {};
    if (status && error.config?.url === url) return { status, body: body && String(body) };
    return { failed: 'unknown', error: error.message };
  }
}

serve(['json', 'stream', 'store', 'sign_out'], (given) => {
  settings = given;
  return {
    send,
    signIn: (tokens) => TokenService.save(tokens),
    signOut: () => TokenService.save({ access_token: null, refresh_token: null }),
  };
});
