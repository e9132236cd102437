//! A body that says when the last of it has come: until then somebody is waited for, and whatever
//! is measured begins only afterwards.

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

struct Telling {
    body: Body,
    tell: Option<Box<dyn FnOnce() + Send>>,
}

/// The same body; `tell` is called once, when it has come whole or can come no further. At once if
/// there is none.
pub(crate) fn telling(body: Body, tell: impl FnOnce() + Send + 'static) -> Body {
    if body.is_end_stream() {
        tell();
        return body;
    }
    Body::new(Telling { body, tell: Some(Box::new(tell)) })
}

impl HttpBody for Telling {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let me = self.get_mut();
        let next = std::task::ready!(Pin::new(&mut me.body).poll_frame(cx));
        if (!matches!(next, Some(Ok(_))) || me.body.is_end_stream())
            && let Some(tell) = me.tell.take()
        {
            tell();
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
