//! Which items go on which page. Pure.

use hookswitch_guest::Failure;
use hookswitch_guest::json::Json;

use crate::settings::Settings;

/// How many pages one payload may make. The host, too, has a bound for a run; this one says what to do.
pub const PAGES_MAX: usize = 100;

/// Fills pages in order, each as far as it goes. `frame_bytes` is what a page has without any item. No item makes one page,
/// empty.
///
/// # Errors
/// `limit` if an item is too large for any page, or if there would be more than [`PAGES_MAX`].
pub(crate) fn pages<'a>(
    settings: &Settings,
    items: Vec<Json<'a>>,
    frame_bytes: usize,
) -> Result<Vec<Vec<Json<'a>>>, Failure> {
    let items_max = settings.items_max.unwrap_or(usize::MAX);
    let bytes_max = settings.bytes_max.unwrap_or(usize::MAX);
    let (mut pages, mut page, mut page_bytes) = (Vec::new(), Vec::new(), frame_bytes);
    for (index, item) in items.into_iter().enumerate() {
        let item_bytes = item.text_bytes();
        if frame_bytes.saturating_add(item_bytes) > bytes_max {
            return Err(Failure::limit(format!(
                "item {index} of {} has {item_bytes} bytes, and what is around it {frame_bytes}: a page would be above \
                 `bytes_max`, {bytes_max}",
                settings.pointer
            )));
        }
        let with_item = page_bytes.saturating_add(1).saturating_add(item_bytes);
        if !page.is_empty() && (page.len() >= items_max || with_item > bytes_max) {
            pages.push(std::mem::take(&mut page));
            page_bytes = frame_bytes;
        }
        // A comma stands before each item but the first.
        page_bytes = page_bytes.saturating_add(item_bytes).saturating_add(usize::from(!page.is_empty()));
        page.push(item);
        if pages.len() >= PAGES_MAX {
            return Err(Failure::limit(format!(
                "{} makes more than PAGES_MAX, {PAGES_MAX} pages; raise `items_max` or `bytes_max`",
                settings.pointer
            )));
        }
    }
    pages.push(page);
    Ok(pages)
}
