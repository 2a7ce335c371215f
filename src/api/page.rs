//! The page: three files, compiled in, as they are.
//!
//! Owns their routes and types. No build step, nothing from another host; all text goes into the
//! document as text, never as markup.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

pub async fn index() -> Response {
    file("text/html; charset=utf-8", include_str!("page/index.html"))
}

pub async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

pub async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}
