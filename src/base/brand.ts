/** A nominal type: two brands over the same primitive cannot be mixed up. Costs nothing at run time. */
declare const brandKey: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brandKey]: Name };
