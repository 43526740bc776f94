//! The same program on the CPU and on a GPU.
//!
//!     cargo run --release --example same_program_on_gpu              on the GPU
//!     cargo run --release --example same_program_on_gpu -- ptxsim    on its simulator (with --features ptxsim)
//!
//! Nothing in it knows where it runs but the one word that says where tensors live. It fits a small network to a function
//! on both devices, from the same random numbers, and prints the losses side by side: random numbers and copies agree bit
//! for bit, sums within rounding, because a GPU adds in another order.

use ganvil::autograd::grad;
use ganvil::backend::cuda;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};

/// Fits `sin(3 x)` by a network with one hidden layer; the loss every 20 steps.
fn fit(device: Device) -> Vec<f64> {
    let random = Generator::new(0, Stream::General);
    let normal = |shape: &[usize], std| random.normal(shape, 0.0, std, DType::F32, device);
    let mut weights = [normal(&[64, 1], 1.0), normal(&[64], 1.0), normal(&[1, 64], 0.1), normal(&[1], 0.1)];
    let mut losses = Vec::new();
    for step in 0..=100 {
        let x = random.uniform(&[256, 1], -1.0, 1.0, DType::F32, device);
        // sin(3x) by its series, which is good to 1e-3 here: there is no op for it.
        let t = x.mul_scalar(3.0);
        let (t3, t5) = (t.pow(3.0), t.pow(5.0));
        let target = t.sub(&t3.mul_scalar(1.0 / 6.0)).add(&t5.mul_scalar(1.0 / 120.0));
        let leaves: Vec<Tensor> = weights.iter().map(|w| w.detach().requires_grad()).collect();
        let hidden = x.linear(&leaves[0], Some(&leaves[1])).tanh();
        let loss = hidden.linear(&leaves[2], Some(&leaves[3])).sub(&target).pow(2.0).mean_all();
        let gradients = grad(&[&loss], &leaves.iter().collect::<Vec<_>>(), &[], false);
        for (w, g) in weights.iter_mut().zip(gradients) {
            *w = w.sub(&g.expect("every weight is used").mul_scalar(0.05));
        }
        if step % 20 == 0 {
            losses.push(loss.item());
        }
    }
    losses
}

fn main() -> ganvil::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "cuda".into());
    let device: Device = name.parse()?;
    match device {
        Device::Cuda | Device::Ptxsim => println!("{}", cuda::open(device)?),
        _ => println!("{}", ganvil::backend::of(device).describe()),
    }
    println!("step        cpu {name:>10}  difference");
    let (cpu, other) = (fit(Device::Cpu), fit(device));
    for (i, (a, b)) in cpu.iter().zip(&other).enumerate() {
        println!("{:>4} {a:>10.6} {b:>10.6}  {:.1e}", 20 * i, (a - b).abs() / a);
    }
    Ok(())
}
