use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use redis::{Client, RedisResult};
use token_refresh_driver::Changed;
use tokio::{runtime::Handle, sync::broadcast, task::JoinHandle};

use crate::script;

/// A connection on which the server announces commits: made when a session begins to listen, and made again when the
/// next one does after it broke. A session that waits does so several times a second.
pub(crate) struct Listener {
    client: Client,
    /// Keys under which something changed. Whoever does not keep up misses some, and is told so.
    changes: broadcast::Sender<Vec<u8>>,
    task: Mutex<Option<JoinHandle<RedisResult<()>>>>,
}

impl Listener {
    pub(crate) fn new(client: Client) -> Self {
        // A session that waits needs the last one alone; a few more are for several credentials.
        Self { client, changes: broadcast::Sender::new(16), task: Mutex::default() }
    }

    /// Ready once the server announces a change under this key. What changes before the connection stands is missed.
    pub(crate) fn changed(&self, key: &str, thread: &Handle) -> Changed {
        self.listen(thread);
        let (mut changes, key) = (self.changes.subscribe(), key.as_bytes().to_owned());
        Changed::when(async move { while changes.recv().await.is_ok_and(|other| other != key) {} })
    }

    /// The next one who listens does it over a new connection.
    pub(crate) fn hang_up(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }

    fn listen(&self, thread: &Handle) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(thread.spawn(listen(self.client.clone(), self.changes.clone())));
        }
    }
}

async fn listen(client: Client, changes: broadcast::Sender<Vec<u8>>) -> RedisResult<()> {
    let mut connection = client.get_async_pubsub().await?;
    connection.subscribe(script::CHANNEL).await?;
    let mut messages = connection.on_message();
    while let Some(message) = messages.next().await {
        // Perhaps nobody waits.
        let _ = changes.send(message.get_payload_bytes().to_owned());
    }
    Ok(())
}
