#include "common/math/star_finder.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include "common/base/mem.h"

enum { MAX_RADIUS = 31, MAX_SIDE = 2 * MAX_RADIUS + 1 };

/* A Gaussian on a square of odd side, cut to a disc and with its sum made zero. */
struct kernel {
    int radius, side;
    double sigma;
    double gauss[MAX_SIDE * MAX_SIDE];   /* peak 1, not cut */
    double enhance[MAX_SIDE * MAX_SIDE]; /* zero sum; 0 outside the disc */
    bool inside[MAX_SIDE * MAX_SIDE];    /* the disc */
    double n_inside;
    double relative_error; /* noise of the convolved image in units of the image's */
};

static void kernel_init(struct kernel *k, double fwhm)
{
    k->sigma = fwhm / (2.0 * sqrt(2.0 * log(2.0)));
    double cut = 1.5 * k->sigma; /* DAOFIND's default truncation */
    k->radius = cut > 2.0 ? (int)cut : 2;
    k->side = 2 * k->radius + 1;
    double sum = 0.0, sum2 = 0.0;
    k->n_inside = 0.0;
    for (int j = 0; j < k->side; j++) {
        for (int i = 0; i < k->side; i++) {
            double x = i - k->radius, y = j - k->radius;
            double r2 = x * x + y * y;
            int p = j * k->side + i;
            k->gauss[p] = exp(-r2 / (2.0 * k->sigma * k->sigma));
            k->inside[p] = r2 <= cut * cut || r2 <= 4.0;
            if (k->inside[p]) {
                sum += k->gauss[p];
                sum2 += k->gauss[p] * k->gauss[p];
                k->n_inside += 1.0;
            }
        }
    }
    double spread = sum2 - sum * sum / k->n_inside;
    k->relative_error = 1.0 / sqrt(spread);
    for (int p = 0; p < k->side * k->side; p++) {
        k->enhance[p] = k->inside[p] ? (k->gauss[p] - sum / k->n_inside) / spread : 0.0;
    }
}

static double at(const float *image, int nx, int ny, int i, int j)
{
    return i >= 0 && j >= 0 && i < nx && j < ny ? (double)image[j * nx + i] : 0.0;
}

static void convolve(const float *image, int nx, int ny, const struct kernel *k,
                     float *out)
{
    for (int j = 0; j < ny; j++) {
        for (int i = 0; i < nx; i++) {
            double sum = 0.0;
            for (int v = 0; v < k->side; v++) {
                for (int u = 0; u < k->side; u++) {
                    sum += k->enhance[v * k->side + u] *
                           at(image, nx, ny, i + u - k->radius, j + v - k->radius);
                }
            }
            out[j * nx + i] = (float)sum;
        }
    }
}

/* Is (i, j) the largest of its neighbourhood of radius `reach`? Outside counts as 0. */
static bool is_peak(const float *conv, int nx, int ny, int i, int j, double reach)
{
    int n = (int)ceil(2.0 * reach + 1.0 - 1e-9); /* side of the footprint */
    int half = n / 2;
    double value = (double)conv[j * nx + i];
    for (int v = 0; v < n; v++) {
        for (int u = 0; u < n; u++) {
            double x = u - reach, y = v - reach;
            if (x * x + y * y <= reach * reach &&
                at(conv, nx, ny, i + u - half, j + v - half) > value) {
                return false;
            }
        }
    }
    return true;
}

/*
 * Fit the kernel's marginal along one axis (0: y, 1: x) to the cut-out's.
 * Returns false if the amplitude is not positive.
 */
static bool fit_marginal(const struct kernel *k, const double *cut, int axis,
                         double *ret_shift, double *ret_height)
{
    double wt_sum = 0.0, kern = 0.0, kern2 = 0.0, dkern = 0.0, dkern2 = 0.0;
    double kern_dkern = 0.0, data = 0.0, data_kern = 0.0, data_dkern = 0.0;
    double data_dx = 0.0;
    for (int a = 0; a < k->side; a++) {
        double m_kern = 0.0, m_data = 0.0; /* marginals, weighted to the centre */
        for (int b = 0; b < k->side; b++) {
            int p = axis ? b * k->side + a : a * k->side + b;
            double w = k->radius - abs(b - k->radius) + 1.0;
            m_kern += k->gauss[p] * w;
            m_data += cut[p] * w;
        }
        double wt = k->radius - abs(a - k->radius) + 1.0;
        double dx = k->radius - a;
        wt_sum += wt;
        kern += m_kern * wt;
        kern2 += m_kern * m_kern * wt;
        dkern += m_kern * dx * wt;
        dkern2 += m_kern * dx * m_kern * dx * wt;
        kern_dkern += m_kern * m_kern * dx * wt;
        data += m_data * wt;
        data_kern += m_data * m_kern * wt;
        data_dkern += m_data * m_kern * dx * wt;
        data_dx += m_data * (axis ? dx : -dx) * wt;
    }
    double numerator = data_kern - data * kern / wt_sum;
    double denominator = kern2 - kern * kern / wt_sum;
    if (!(numerator > 0.0 && denominator > 0.0)) {
        return false;
    }
    double height = numerator / denominator;
    double shift = (kern_dkern - (data_dkern - dkern * data)) /
                   (height * dkern2 / (k->sigma * k->sigma));
    double limit = k->side / 2.0;
    if (fabs(shift) > limit) {
        shift = data == 0.0 ? 0.0 : data_dx / data;
        if (fabs(shift) > limit) {
            shift = 0.0;
        }
    }
    *ret_shift = shift;
    *ret_height = height;
    return true;
}

/* DAOFIND's SROUND: two-fold over four-fold symmetry of the convolved cut-out. */
static double roundness_symmetry(const struct kernel *k, const double *conv)
{
    int c = k->radius;
    double two = 0.0, four = 0.0;
    for (int j = 0; j < k->side; j++) {
        for (int i = 0; i < k->side; i++) {
            if (i == c && j == c) {
                continue;
            }
            double v = conv[j * k->side + i];
            four += fabs(v);
            /* quadrants turn round the centre, each with one half axis */
            bool down = (j <= c && i > c), left = (j < c && i <= c);
            bool up = (j >= c && i < c);
            two += down ? -v : left ? v : up ? -v : v;
        }
    }
    return 2.0 * two / four;
}

/* Measure the source peaking at (i, j); false if it is no star. */
static bool measure(const float *image, const float *conv, int nx, int ny,
                    const struct kernel *k, int i, int j, double *ret_x, double *ret_y,
                    double *ret_flux)
{
    double cut[MAX_SIDE * MAX_SIDE], conv_cut[MAX_SIDE * MAX_SIDE];
    double flux = 0.0, inside = 0.0;
    for (int v = 0; v < k->side; v++) {
        for (int u = 0; u < k->side; u++) {
            int p = v * k->side + u;
            cut[p] = at(image, nx, ny, i + u - k->radius, j + v - k->radius);
            conv_cut[p] = at(conv, nx, ny, i + u - k->radius, j + v - k->radius);
            flux += cut[p];
            inside += k->inside[p] ? cut[p] : 0.0;
        }
    }
    double peak = (double)image[j * nx + i], conv_peak = (double)conv[j * nx + i];
    double sharpness = (peak - (inside - peak) / (k->n_inside - 1.0)) / conv_peak;
    double symmetry = roundness_symmetry(k, conv_cut);
    double dx, dy, hx, hy;
    if (!fit_marginal(k, cut, 1, &dx, &hx) || !fit_marginal(k, cut, 0, &dy, &hy)) {
        return false;
    }
    double roundness = 2.0 * (hx - hy) / (hx + hy);
    *ret_x = i + dx;
    *ret_y = j + dy;
    *ret_flux = flux;
    return sharpness >= 0.2 && sharpness <= 1.0 && fabs(symmetry) <= 1.0 &&
           fabs(roundness) <= 1.0 && isfinite(*ret_x) && isfinite(*ret_y) &&
           isfinite(flux);
}

int star_find_brightest(const float *image, int nx, int ny, double threshold,
                        double fwhm, bool *ret_found, double *ret_x, double *ret_y,
                        struct err *err)
{
    if (!(fwhm > 0.0) || fwhm > 48.0) { /* 1.5 sigma must fit MAX_RADIUS */
        return err_set(err, ERR_PARAM,
                       "star finder: FWHM of %g pixels; 0 to 48 is right", fwhm);
    }
    struct kernel *k = mem_alloc(1, sizeof *k, err);
    float *conv = mem_alloc((size_t)nx * (size_t)ny, sizeof *conv, err);
    if (!k || !conv) {
        free(k);
        free(conv);
        return ERR_NOMEM;
    }
    kernel_init(k, fwhm);
    convolve(image, nx, ny, k, conv);
    bool varies = false;
    for (int p = 1; p < nx * ny && !varies; p++) {
        varies = conv[p] != conv[0];
    }
    double best = 0.0;
    bool found = false;
    for (int j = 0; varies && j < ny; j++) {
        for (int i = 0; i < nx; i++) {
            double x, y, flux;
            if ((double)conv[j * nx + i] > threshold * k->relative_error &&
                is_peak(conv, nx, ny, i, j, 2.5 * fwhm) &&
                measure(image, conv, nx, ny, k, i, j, &x, &y, &flux) &&
                (!found || flux > best)) {
                found = true;
                best = flux;
                *ret_x = x;
                *ret_y = y;
            }
        }
    }
    *ret_found = found;
    free(k);
    free(conv);
    return 0;
}
