//! The C border: owned strings and arrays, borrowed slices, and the guard that turns errors and
//! panics into error strings.

use std::fmt::Display;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

/// Bytes owned by the caller of a function that returned them; freed by `text_rs_string_free`.
#[repr(C)]
pub struct OwnedString {
    data: *mut u8,
    size: usize,
}

/// Bytes lent for the time of a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    data: *const u8,
    size: usize,
}

impl OwnedString {
    pub fn new(text: String) -> OwnedString {
        let (data, size) = leak(text.into_bytes());
        OwnedString { data, size }
    }
}

impl Slice {
    /// # Safety
    /// `data` points to `size` readable bytes that outlive the use of the result.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        array(self.data, self.size)
    }

    /// # Safety
    /// As `bytes`.
    pub unsafe fn text<'a>(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes())
            .map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))
    }
}

/// # Safety
/// `data` points to `size` readable items that outlive the use of the result.
pub unsafe fn array<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

/// Gives a vector away as pointer and length; `reclaim` takes it back.
pub fn leak<T>(items: Vec<T>) -> (*mut T, usize) {
    let items = Box::leak(items.into_boxed_slice());
    (items.as_mut_ptr(), items.len())
}

/// # Safety
/// The pair came from `leak` and was not reclaimed before.
pub unsafe fn reclaim<T>(data: *mut T, size: usize) {
    if !data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, size)));
    }
}

/// Runs `body`; what it gives is written to `out`, an error or a panic to `error`. True on success.
///
/// # Safety
/// `out` and `error` are valid for writing.
pub unsafe fn guard<T>(
    out: *mut T,
    error: *mut OwnedString,
    body: impl FnOnce() -> Result<T, String>,
) -> bool {
    // A library does not print: without this the default hook writes each panic to stderr.
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| set_hook(Box::new(|_| {})));

    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown panic");
        Err(format!("internal error: {text}"))
    });
    match result {
        Ok(value) => {
            out.write(value);
            true
        }
        Err(text) => {
            error.write(OwnedString::new(text));
            false
        }
    }
}

pub fn text_of(error: impl Display) -> String {
    error.to_string()
}

#[no_mangle]
pub unsafe extern "C" fn text_rs_string_free(string: OwnedString) {
    reclaim(string.data, string.size);
}
