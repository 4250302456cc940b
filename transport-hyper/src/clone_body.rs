use http_body::Body;

/// How the content of a request is produced again for its repetition.
///
/// A closure `Fn(&B) -> Option<B>` is one: the copy is made before the first attempt.
pub trait CloneBody<B> {
    /// What is kept while the first attempt is under way.
    type Copy;

    /// Before the first attempt: the content to be sent, and what is kept of it.
    fn copy(&self, body: B) -> (B, Self::Copy);

    /// After a refusal: the content once more, whole. `None` if that is impossible; then the caller gets the refusal,
    /// and the token is refreshed all the same (RPLY-03).
    fn restore(&self, copy: Self::Copy) -> Option<B>;

    /// Before the first attempt: whether it is known already that [`restore`](Self::restore) will be impossible. Such a
    /// request goes with a token that is not about to end, and waits for a refresh in the background (RPLY-07).
    fn is_one_shot(&self, copy: &Self::Copy) -> bool;
}

/// For content that is cheap to clone, such as `Full<Bytes>`, `Empty<Bytes>` and `String`. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByClone;

/// Only requests without content are repeated: for content of any kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct IfEmpty;

impl<B: Clone> CloneBody<B> for ByClone {
    type Copy = B;

    fn copy(&self, body: B) -> (B, B) {
        (body.clone(), body)
    }

    fn restore(&self, copy: B) -> Option<B> {
        Some(copy)
    }

    fn is_one_shot(&self, _: &B) -> bool {
        false
    }
}

impl<B: Body + Default> CloneBody<B> for IfEmpty {
    /// Whether it is empty.
    type Copy = bool;

    fn copy(&self, body: B) -> (B, bool) {
        let empty = body.is_end_stream();
        (body, empty)
    }

    fn restore(&self, empty: bool) -> Option<B> {
        empty.then(B::default)
    }

    fn is_one_shot(&self, empty: &bool) -> bool {
        !empty
    }
}

impl<B, F: Fn(&B) -> Option<B>> CloneBody<B> for F {
    type Copy = Option<B>;

    fn copy(&self, body: B) -> (B, Option<B>) {
        let copy = self(&body);
        (body, copy)
    }

    fn restore(&self, copy: Option<B>) -> Option<B> {
        copy
    }

    fn is_one_shot(&self, copy: &Option<B>) -> bool {
        copy.is_none()
    }
}
