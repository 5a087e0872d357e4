//! Points in the plane whose neighbours are those of many dimensions: exact nearest neighbours, then
//! t-SNE (bhtsne, FIt-SNE).

use bhtsne::{tSNE, Neighbor};
use rayon::prelude::*;

use crate::border::{array, guard, OwnedString};

/// What scikit-learn, openTSNE and Rtsne take by default.
const PERPLEXITY: f32 = 30.0;
const EPOCHS: usize = 750;
const EXAGGERATED_EPOCHS: usize = 250;
const EXAGGERATION: f32 = 12.0;

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    // Four sums at once: the compiler makes vector code of it.
    let mut sums = [0f32; 4];
    for (x, y) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        for i in 0..4 {
            let difference = x[i] - y[i];
            sums[i] += difference * difference;
        }
    }
    let tail = a.len() / 4 * 4;
    let rest: f32 = a[tail..]
        .iter()
        .zip(&b[tail..])
        .map(|(x, y)| (x - y) * (x - y))
        .sum();
    sums.iter().sum::<f32>() + rest
}

/// The k nearest of each point, nearest first; equal distances in the order of points.
fn nearest(points: &[&[f32]], k: usize) -> Vec<Vec<Neighbor<f32>>> {
    (0..points.len())
        .into_par_iter()
        .map(|i| {
            let mut others: Vec<(f32, usize)> = (0..points.len())
                .filter(|&j| j != i)
                .map(|j| (squared_distance(points[i], points[j]), j))
                .collect();
            let order =
                |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if k < others.len() {
                others.select_nth_unstable_by(k, order);
                others.truncate(k);
            }
            others.sort_unstable_by(order);
            others
                .into_iter()
                .map(|(d, index)| Neighbor {
                    index,
                    distance: d.sqrt(),
                })
                .collect()
        })
        .collect()
}

fn embed(points: &[&[f32]], start: Vec<f32>) -> Result<Vec<f32>, String> {
    let n = points.len();
    let perplexity = PERPLEXITY.min((n - 1) as f32 / 3.0);
    let neighbours = nearest(points, (3.0 * perplexity) as usize);
    // Sums over points then have one order, whatever the machine: the same seed, the same map.
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|e| format!("cannot start a thread: {e}"))?;
    Ok(one_thread.install(|| {
        tSNE::<f32, &[f32], 2>::new(points)
            .perplexity(perplexity)
            .epochs(EPOCHS)
            .stop_lying_epoch(EXAGGERATED_EPOCHS)
            .momentum_switch_epoch(EXAGGERATED_EPOCHS)
            .early_exaggeration(EXAGGERATION)
            // n / exaggeration: Belkina et al., Nature Communications 10 (2019). At least 50, but a few
            // points would be thrown apart by that.
            .learning_rate((n as f32 / EXAGGERATION).max(50f32.min(n as f32 / 4.0)))
            .initial_embedding(start)
            .fit_sne_with_neighbors(&neighbours)
            .embedding()
    }))
}

/// # Safety
/// `points` holds n * d numbers, `start` 2 n, `out` has room for 2 n.
#[no_mangle]
pub unsafe extern "C" fn text_rs_tsne(
    points: *const f32,
    n: usize,
    d: usize,
    start: *const f32,
    out: *mut f32,
    error: *mut OwnedString,
) -> bool {
    let mut done = ();
    guard(&mut done, error, || {
        if n < 4 || d == 0 {
            return Err("expected at least 4 points of at least 1 dimension".into());
        }
        let rows: Vec<&[f32]> = array(points, n * d).chunks_exact(d).collect();
        let embedding = embed(&rows, array(start, 2 * n).to_vec())?;
        std::slice::from_raw_parts_mut(out, 2 * n).copy_from_slice(&embedding);
        Ok(())
    })
}
