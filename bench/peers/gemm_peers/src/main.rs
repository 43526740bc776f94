//! Matrix products of the crates gemm and faer.
//!
//!     RAYON_NUM_THREADS=N gemm_peers N SHAPES [ONLY]
//!
//! SHAPES is a file such as `../gemm_shapes.txt`. Prints a JSON object for each shape that has ONLY in it and crate: `row` is
//! that of `ganvil bench gemm` which computes the same, `us` the median time.

use std::time::Instant;

/// The median time of a call in seconds.
fn bench(mut f: impl FnMut()) -> f64 {
    let mut time = |rounds: usize| {
        let start = Instant::now();
        (0..rounds).for_each(|_| f());
        start.elapsed().as_secs_f64() / rounds as f64
    };
    time(2);
    let rounds = (0.008 / time(1).max(1e-7)).ceil().clamp(1.0, 20_000.0) as usize;
    let mut times: Vec<f64> = (0..11).map(|_| time(rounds)).collect();
    times.sort_by(f64::total_cmp);
    times[5]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (Some(Ok(threads)), Some(shapes)) = (args.get(1).map(|n| n.parse::<usize>()), args.get(2)) else {
        eprintln!("usage: gemm_peers THREADS SHAPES [ONLY]");
        std::process::exit(2);
    };
    let only = args.get(3).map_or("", String::as_str);
    let text = std::fs::read_to_string(shapes).unwrap_or_else(|e| panic!("cannot read {shapes}: {e}"));
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#') && l.contains(only)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let size = |i: usize| words[i].parse::<usize>().expect("a size");
        measure(threads, line, words[0], [size(1), size(2), size(3)]);
    }
}

/// `C [m, n] = op(A) [m, k] op(B) [k, n]`, all row-major; T for an operand that is stored transposed.
fn measure(threads: usize, row: &str, stored: &str, [m, n, k]: [usize; 3]) {
    let a: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 / 13.0).collect();
    let b: Vec<f32> = (0..k * n).map(|i| (i % 11) as f32 / 11.0).collect();
    let mut c = vec![0f32; m * n];
    // Of rows, of columns.
    let strides = |transposed, rows: usize, columns: usize| {
        if transposed { (1, rows as isize) } else { (columns as isize, 1) }
    };
    let (ar, ac) = strides(stored.starts_with('T'), m, k);
    let (br, bc) = strides(stored.ends_with('T'), k, n);
    let show = |lib: &str, seconds: f64| {
        println!(r#"{{"row": "{row}", "lib": "{lib}", "threads": {threads}, "us": {}}}"#, seconds * 1e6);
    };
    let parallel = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let seconds = bench(|| {
        // SAFETY: the strides reach each element of a, b and c and none beyond.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n as isize,
                false,
                a.as_ptr(),
                ac,
                ar,
                b.as_ptr(),
                bc,
                br,
                0f32,
                1f32,
                false,
                false,
                false,
                parallel,
            )
        }
    });
    show("gemm", seconds);
    let parallel = if threads == 1 { faer::Par::Seq } else { faer::Par::rayon(threads) };
    let seconds = bench(|| {
        // SAFETY: as above.
        let (a, b, c) = unsafe {
            (
                faer::MatRef::from_raw_parts(a.as_ptr(), m, k, ar, ac),
                faer::MatRef::from_raw_parts(b.as_ptr(), k, n, br, bc),
                faer::MatMut::from_raw_parts_mut(c.as_mut_ptr(), m, n, n as isize, 1),
            )
        };
        faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1f32, parallel);
    });
    show("faer", seconds);
}
