#include "stages/flicker_fourier.h"

#include <math.h>

/* The lower triangle, in place; the number of rows done. */
static int factorise(double complex *low, int n)
{
    const double floor = 1e-10 * creal(low[0]);
    for (int i = 0; i < n; i++) {
        double complex *row = low + i * n;
        for (int k = 0; k <= i; k++) {
            const double complex *other = low + k * n;
            double re = creal(row[k]), im = cimag(row[k]);
            for (int j = 0; j < k; j++) { /* row[j] * conj(other[j]) */
                const double a = creal(row[j]), b = cimag(row[j]);
                const double c = creal(other[j]), d = cimag(other[j]);
                re -= a * c + b * d;
                im -= b * c - a * d;
            }
            if (k < i) {
                const double pivot = creal(other[k]);
                row[k] = re / pivot + im / pivot * (double complex)I;
            } else if (re > floor) {
                row[k] = sqrt(re);
            } else {
                return i;
            }
        }
    }
    return n;
}

int flicker_fourier_solve(double complex *matrix, const double complex *r, int n,
                          double complex *a)
{
    const int used = factorise(matrix, n);
    for (int i = 0; i < n; i++) {
        a[i] = i < used ? r[i] : 0;
        for (int j = 0; j < i && i < used; j++) {
            a[i] -= matrix[i * n + j] * a[j];
        }
        a[i] = i < used ? a[i] / creal(matrix[i * n + i]) : 0;
    }
    for (int i = used; i-- > 0;) {
        for (int j = i + 1; j < used; j++) {
            a[i] -= conj(matrix[j * n + i]) * a[j];
        }
        a[i] /= creal(matrix[i * n + i]);
    }
    return used;
}
