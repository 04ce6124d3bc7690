//! Inner loops over slices. Plain loops, compiled once per instruction set and chosen at run time.

pub(crate) mod instructions;
pub(crate) mod math;
pub(crate) mod product;

/// Writes a function whose body is compiled for AVX-512, AVX2 and the plain instruction set; one is [chosen] at run time.
///
/// [chosen]: instructions::instructions
///
/// What the body calls must be inlined to profit, so its helpers are `#[inline(always)]`.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$life:lifetime>($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$life>($($arg: $ty),*) $(-> $out)? {
            struct Call<$life> { $($arg: $ty),* }
            impl<$life> pulp::WithSimd for Call<$life> {
                type Output = vectorised!(@out $($out)?);
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    let Call { $($arg),* } = self;
                    $body
                }
            }
            $crate::kernel::instructions::arch().dispatch(Call { $($arg),* })
        }
    };
    (@out) => { () };
    (@out $out:ty) => { $out };
}
pub(crate) use vectorised;

/// Numbers that sums run over side by side.
pub(crate) const LANES: usize = 16;

/// Sum of products, in sixteen partial sums so that it vectorises; always in the same order.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut sums = [0.0_f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = chunks_a.remainder().iter().zip(chunks_b.remainder());
    let mut tail = 0.0;
    for (x, y) in rest {
        tail += x * y;
    }
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    fold(sums) + tail
}

/// Sum, in sixteen partial sums so that it vectorises; always in the same order.
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let mut tail = 0.0;
    for x in chunks.remainder() {
        tail += x;
    }
    for x in chunks {
        for lane in 0..LANES {
            sums[lane] += x[lane];
        }
    }
    fold(sums) + tail
}

/// `y += factor * x`.
#[inline(always)]
pub(crate) fn axpy(y: &mut [f32], factor: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// `y += x`.
#[inline(always)]
pub(crate) fn add_to(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// The sum of partial sums, in halves.
#[inline(always)]
pub(crate) fn fold(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

vectorised! {
    /// Sum of squares in double precision, in a fixed order.
    pub(crate) fn sum_of_squares<'a>(values: &'a [f32]) -> f64 {
        let mut sums = [0.0_f64; LANES];
        let chunks = values.chunks_exact(LANES);
        let mut tail = 0.0;
        for &x in chunks.remainder() {
            tail += f64::from(x) * f64::from(x);
        }
        for x in chunks {
            for lane in 0..LANES {
                sums[lane] += f64::from(x[lane]) * f64::from(x[lane]);
            }
        }
        sums.iter().sum::<f64>() + tail
    }
}

vectorised! {
    /// Multiplies all.
    pub(crate) fn scale<'a>(values: &'a mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_take_every_element_once() {
        for len in [0, 1, 15, 16, 17, 64, 100] {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let b = vec![2.0; len];
            let expected = (0..len).sum::<usize>() as f32;
            assert_eq!(sum(&a), expected);
            assert_eq!(dot(&a, &b), 2.0 * expected);
            let squares: usize = (0..len).map(|i| i * i).sum();
            assert_eq!(sum_of_squares(&a), squares as f64);
        }
    }
}
